"""The pages that the step writes ask nothing of the network; the step itself: test_component."""

import re
from collections.abc import Callable
from typing import Any

from components.validate.config import ValidateSection
from components.validate.validate import validate

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

# What makes a browser load something, as opposed to a link that a reader may follow.
LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=|@import|url\(\s*['\"]?http")


def test_the_data_docs_load_nothing_and_show_each_suite(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=i % 2) for i in range(12)]
    paths = write_data(rows, "classify", ("cat", "<dog>"))
    section = ValidateSection(max_class_share=0.4, expectations={"class_share": "warn"})
    validate(section, "classify", 0, "", paths.inputs, paths.outputs)
    pages = {page.stem: page.read_text() for page in paths.outputs.docs.rglob("*.html")}
    assert pages.keys() == {"index", "dataset", "classes", "images"}
    for page in [*pages.values(), paths.outputs.report.read_text()]:
        assert not LOADED.search(page)
    index = pages["index"]
    results = re.findall(r'href="(validations/[^"]+)">(\w+)<', index)
    assert [word for _, word in results] == ["succeeded", "succeeded", "failed"]
    for address, _ in results:
        page = (paths.outputs.docs / address.replace("%3A", ":")).read_text()
        assert "Expectation Validation Result" in page
    assert {path.suffix for path in paths.outputs.docs.rglob("*") if path.is_file()} == {".html"}
