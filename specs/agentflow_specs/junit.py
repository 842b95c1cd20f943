"""A JUnit file: a report in the XML form that build servers read, one test case for each requirement."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from agentflow_specs.certification import HarnessReport, Judged, Report


def as_junit(report: Report) -> bytes:
    """The report as XML; a MUST that is open is a failure, what the plugin does not offer is skipped.

    Source: the schema of the Jenkins xUnit plugin, junit-10.xsd.
    """
    root = ET.Element("testsuites", name=f"{report.distribution} {report.version}")
    for harness in report.harnesses:
        suite = ET.SubElement(root, "testsuite", name=harness.name, timestamp=report.at.rstrip("Z"))
        for judged in harness.requirements:
            _add(suite, harness, judged)
        if harness.problem:
            case = ET.SubElement(suite, "testcase", classname=harness.name, name="the suite runs to its end")
            ET.SubElement(case, "error", message=_plain(harness.problem))
        suite.set("tests", str(len(suite)))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add(suite: ET.Element, harness: HarnessReport, judged: Judged) -> None:
    case = ET.SubElement(suite, "testcase", classname=harness.name, name=judged.id)
    if judged.counts_against:
        ET.SubElement(case, "failure", message=f"{judged.result}: {_plain(judged.detail)}").text = _plain(judged.text)
    elif judged.result != "passed":
        ET.SubElement(case, "skipped", message=f"{judged.level} {judged.result}: {_plain(judged.detail)}")


def _plain(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n" or (char >= " " and not "\ud800" <= char <= "\udfff"))
