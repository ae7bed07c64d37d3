import json

from likewise.methods.registry import available


def test_every_method_is_listed_with_its_paper(run):
    code, out, err = run("methods")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(available())
    assert all(row.paper in out for row in available().values())


def test_the_list_is_json_where_it_is_asked_for(run):
    rows = json.loads(run("methods", "--json")[1])
    assert [row["name"] for row in rows] == list(available())
