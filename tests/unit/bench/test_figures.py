from bench.figures import README, table


def test_the_readme_tells_what_was_measured() -> None:
    text = table()
    assert text is not None
    assert text in README.read_text(), "run `make bench-plots`"
