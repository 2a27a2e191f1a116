"""Every cell of the README's matrix, really run."""

from interoperability import REPOSITORY, Matrix, table


def test_the_matrix_is_what_the_readme_shows(original, tmp_path):
    """Each step of each side on what each neighbour wrote; none fails."""
    results = Matrix(tmp_path).run()
    assert {cell: found for cell, found in results.items() if found != "works"} == {}
    assert table(results) in (REPOSITORY / "README.md").read_text("utf-8")
