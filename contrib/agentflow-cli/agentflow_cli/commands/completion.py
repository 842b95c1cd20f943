"""`agentflow completion`: the script that completes commands, options, names and run ids in a shell."""

from __future__ import annotations

import click

from agentflow_cli.completion import SHELLS, script
from agentflow_cli.shared import other_options
from agentflow_cli.terminal import write


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@other_options
def command(shell: str) -> None:
    """Print the script that completes words in SHELL.

    bash: `eval "$(agentflow completion bash)"` in ~/.bashrc. zsh: `eval "$(agentflow completion zsh)"` in ~/.zshrc,
    after compinit. fish: `agentflow completion fish > ~/.config/fish/completions/agentflow.fish`.
    """
    write(script(shell))
