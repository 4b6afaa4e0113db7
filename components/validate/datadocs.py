"""Great Expectations' data docs: a page for each suite and its result, readable offline."""

import datetime
import re
import shutil
from pathlib import Path
from typing import Final

import great_expectations as gx
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from jinja2 import Environment
from markupsafe import Markup

from components.shared.files import write_text

_HERE: Final = Path(__file__).parent
_SCRIPT: Final = re.compile(r"<script\b.*?</script>", re.DOTALL)
_LINK: Final = re.compile(r"<link\b[^>]*>")
_LOGO: Final = re.compile(r"<img\b[^>]*>")
_FOOTER: Final = re.compile(r"<footer\b.*?</footer>", re.DOTALL)
_ADDRESS: Final = re.compile(r"url\(['\"]?https?:[^)]*\)")


class DataDocs:
    """A context of Great Expectations in memory, and the folder its data docs are written to."""

    def __init__(self, folder: Path) -> None:
        """Make the folder; pages of an attempt before this one are removed."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._met: list[tuple[str, int, int]] = []
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = ProgressBarsConfig(globally=False)
        # Its site of data docs is a folder that nobody would find.
        aside = (self.context.variables.data_docs_sites or {})["local_site"]["store_backend"]
        self.context.delete_data_docs_site("local_site")
        shutil.rmtree(aside["base_directory"], ignore_errors=True)
        self.context.add_data_docs_site(
            "docs",
            {
                "class_name": "SiteBuilder",
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(folder.resolve()),
                },
            },
        )

    def add_suite(self, suite: gx.ExpectationSuite) -> None:
        """Add a suite, which gets a page."""
        self.context.suites.add(suite)

    def add_results(self, suite: str, results: list[ExpectationValidationResult]) -> None:
        """Add a suite's result, which gets a page."""
        met = sum(bool(one.success) for one in results)
        self._met.append((suite, met, len(results)))
        now = datetime.datetime.now(datetime.UTC)
        run = RunIdentifier(run_name="validate", run_time=now)
        result = ExpectationSuiteValidationResult(
            success=met == len(results),
            results=results,
            suite_name=suite,
            statistics={
                "evaluated_expectations": len(results),
                "successful_expectations": met,
                "unsuccessful_expectations": len(results) - met,
                "success_percent": 100 * met / max(len(results), 1),
            },
            meta={
                "great_expectations_version": gx.__version__,
                "run_id": run,
                "validation_time": now,
            },
        )
        name = ExpectationSuiteIdentifier(name=suite)
        self.context.validation_results_store.store_validation_results(
            result, ValidationResultIdentifier(name, run, suite), name
        )

    def write(self) -> None:
        """Write the pages: an index, and for each suite its expectations and their result."""
        self.context.build_data_docs()
        style = (_HERE / "datadocs.css").read_text("utf-8")
        for page in self._folder.rglob("*.html"):
            page.write_text(_offline(page.read_text("utf-8"), style), "utf-8")
        # Its own index is empty without scripts from the network.
        write_text(self._folder / "index.html", self._index(style))
        shutil.rmtree(
            self._folder / "static", ignore_errors=True
        )  # 4 MB of pictures and fonts that no page shows

    def _index(self, style: str) -> str:
        pages = sorted((self._folder / "validations").rglob("*.html"))
        results = {page.stem: page.relative_to(self._folder).as_posix() for page in pages}
        template = Environment(autoescape=True).from_string(
            (_HERE / "datadocs_index.html.j2").read_text("utf-8")
        )
        return template.render(
            style=Markup(style),  # noqa: S704 (our own file)
            rows=[(suite, results[suite], met, of) for suite, met, of in self._met],
        )


def _offline(page: str, style: str) -> str:
    """Remove what a page would load from the network, and give it a style of its own."""
    for pattern in (_SCRIPT, _LINK, _FOOTER, _ADDRESS):
        page = pattern.sub("", page)
    page = _LOGO.sub("Great Expectations", page)
    return page.replace("</head>", f"<style>{style}</style></head>", 1)
