"""docs/performance.md says what was measured: its tables are those of the figures that are kept beside it."""

from bench import page_text, plots, results


def test_the_page_is_made_of_the_figures_beside_it(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(plots.PAGE.read_text())
    (tmp_path / "performance").symlink_to(results.PAGE)
    page_text.rewrite(page, page_text.kept(results.PAGE))
    assert page.read_text() == plots.PAGE.read_text(), "run: .venv/bin/python -m bench.plots"


def test_every_bench_of_the_page_has_its_figures():
    assert set(page_text.kept(results.PAGE)) == set(page_text.SECTIONS)


def test_what_was_not_measured_anew_stays(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{page_text.BEGINS}\n{page_text.ENDS}\nafter\n")
    page_text.rewrite(page, {"jobs": page_text.kept(results.PAGE)["jobs"]})
    assert "## Work in the background" in page.read_text()
    assert page.read_text().endswith("after\n")
