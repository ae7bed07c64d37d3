"""A row is stale when code that its figures hang on changed, and only then."""


def test_a_method_hangs_on_its_own_file_and_what_that_imports_but_not_on_other_methods(bench):
    names = set(bench("provenance").sources("ridge"))
    assert {"likewise.methods.ridge", "likewise.methods.patches", "likewise.functional.regression", "likewise.task.finish"} <= names
    assert not [name for name in names if "analogy" in name or "nearest" in name]


def test_a_method_in_a_folder_hangs_on_every_file_that_it_uses(bench):
    assert {"likewise.methods.analogy", "likewise.methods.analogy.method"} <= set(bench("provenance").sources("analogy"))


def test_docstrings_and_comments_do_not_make_a_row_stale_but_code_does(bench, tmp_path):
    meaning, found = bench("provenance")._meaning, []
    for index, text in enumerate(('"""One."""\n\n\ndef f():\n    """Two."""\n    return 1\n', '"""Three."""\ndef f():\n    """Four."""\n    return 1  # 1\n')):
        path = tmp_path / f"{index}.py"
        path.write_text(text)
        found.append(meaning(path))
    path.write_text('"""Three."""\ndef f():\n    """Four."""\n    return 2\n')
    assert found[0] == found[1] != meaning(path)


def test_imports_within_functions_are_seen(bench, tmp_path):
    path = tmp_path / "late.py"
    path.write_text("def f():\n    from likewise.functional import links\n    return links\n")
    assert set(bench("provenance").imported(path)) == {"likewise.functional", "likewise.functional.links"}
