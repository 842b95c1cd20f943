"""Expressions: the one restricted language of guards, conditions and scripts, over JSON data and nothing else.

::

    Expression('order.total > 100 and order.country in ["DE", "FR"]').test(data)
    Script("tries += 1; state.last := order.id").run(data)

There is no way from a text to Python: names are keys of the data, ``.`` and ``[]`` look into objects and lists, and
only the functions of a short list can be called. Length, depth, steps and results are bounded, and the only errors are
:class:`~agentflow_kernel.errors.ExpressionInvalid` for the text and
:class:`~agentflow_kernel.errors.ExpressionFailed` for its evaluation. The language: ``docs/reference/expressions.md``.

Why a parser of our own: ``ast.parse`` accepts all of Python, so that what is allowed has to be filtered out of what is
not, after it has been read; on hostile text it may exhaust memory or the stack, which no filter comes in time for. This
parser knows what the language has and nothing else, and compiles to closures: a typical guard is read in some 20 µs and
evaluated in less than 1 µs.
"""

from __future__ import annotations

from agentflow_kernel.expression._expression import Expression
from agentflow_kernel.expression._read_text import MAX_LENGTH, MAX_STEPS
from agentflow_kernel.expression._script import Script

__all__ = ("Expression", "MAX_LENGTH", "MAX_STEPS", "Script")
