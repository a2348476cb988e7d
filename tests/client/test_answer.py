import copy
import html
from typing import Any

import pandas
import polars
import pytest

from noisegate.client import Answer, Cell
from noisegate.client.answer import shown
from noisegate.errors import BadInput

REPLY: dict[str, Any] = {
    "columns": [
        {"name": "sex", "type": "str", "unit": "", "key": True},
        {"name": "mean", "type": "float", "unit": "kg/m2", "key": False},
        {"name": "n", "type": "int", "unit": "", "key": False},
    ],
    "rows": [
        ["f <b>", {"value": 27.25, "low": 27.0, "high": 27.5}, {"value": 1000, "low": None, "high": None}],
        [None, {"value": None, "low": None, "high": None}, {"value": -3, "low": -10.0, "high": 2.0}],
    ],
    "confidence": 0.95,
    "loss": {"nominal_epsilon": 0.5, "epsilon": 0.5, "delta": 0.0, "unit": "person"},
    "mechanisms": ["discrete Laplace"],
    "clamping": ["bmi into 10 to 70"],
    "notes": ["clinic is SYNTHETIC data"],
    "budget": {"spent": 0.5, "left": 9.5, "delta": 1e-6, "more_like_this": 19},
    "replayed": False,
    "receipt": {"id": "liver:3", "hash": "ab"},
}
ONE: dict[str, Any] = {
    **REPLY,
    "columns": REPLY["columns"][2:],
    "rows": [[{"value": 1234, "low": 1230.0, "high": 1238.0}]],
}


def test_an_answer_of_one_cell_has_a_value_and_an_interval() -> None:
    answer = Answer.from_json(ONE)
    assert (answer.value, answer.interval, answer.rows) == (1234, (1230.0, 1238.0), ((1234,),))


def test_an_answer_of_several_cells_has_no_single_value() -> None:
    answer = Answer.from_json(REPLY)
    with pytest.raises(BadInput, match="2 rows of 3 columns"):
        _ = answer.value
    with pytest.raises(BadInput):
        _ = answer.interval
    assert answer.rows == (("f <b>", 27.25, 1000), (None, None, -3))
    assert answer.cells[0][1] == Cell(27.25, 27.0, 27.5)


def test_data_frames_have_the_ends_of_intervals_beside_the_values() -> None:
    answer = Answer.from_json(REPLY)
    names = ["sex", "mean", "mean_low", "mean_high", "n", "n_low", "n_high"]
    frame = answer.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == names
    assert frame["mean_high"].to_list() == [27.5, None]
    assert answer.to_arrow().column_names == names
    assert answer.to_arrow()["n"].to_pylist() == [1000, -3]
    assert isinstance(answer.to_pandas(), pandas.DataFrame)
    assert list(answer.to_pandas().columns) == names


def test_data_frames_name_columns_apart_where_sql_does_not() -> None:
    reply = copy.deepcopy(REPLY)
    for column in reply["columns"]:
        column["name"] = "x"
    reply["columns"][2]["name"] = "x_low"
    names = list(Answer.from_json(reply).to_columns())
    assert len(set(names)) == len(names) == 7
    assert names[0] == "x"


def test_an_answer_without_rows_is_still_a_table() -> None:
    answer = Answer.from_json({**REPLY, "rows": []})
    assert answer.to_polars().shape == (0, 7)
    assert "mean [kg/m2]" in repr(answer)


def test_the_text_form_shows_values_intervals_cost_and_what_is_left() -> None:
    text = repr(Answer.from_json(REPLY))
    for piece in (
        "27.25 ± 0.25",
        "-3 (-10 to 2)",
        "1,000",
        "NULL",
        "cost ε 0.5 (δ 0, per person)",
        "about 19 more like this",
        "clamped: bmi into 10 to 70",
        "clinic is SYNTHETIC data",
    ):
        assert piece in text


def test_the_notebook_form_escapes_what_it_shows() -> None:
    page = Answer.from_json(REPLY)._repr_html_()
    assert "<b>" not in page
    assert html.escape("f <b>") in page
    assert page.count("<tr>") == 3


def test_a_replay_says_that_it_cost_nothing() -> None:
    assert "cost nothing" in repr(Answer.from_json({**ONE, "replayed": True}))


def test_a_surcharge_is_told_where_there_is_one() -> None:
    surcharge = {"factor": 1.25, "epsilon": 0.125}
    assert "and ε 0.125 more from your own budget, 1.25 times" in repr(
        Answer.from_json({**ONE, "surcharge": surcharge})
    )
    assert "more from your own budget" not in repr(Answer.from_json(ONE))
    assert "more from your own budget" not in repr(
        Answer.from_json({**ONE, "surcharge": {"factor": 1.0, "epsilon": 0.0}})
    )


def test_fields_of_a_later_version_are_kept_and_do_no_harm() -> None:
    answer = Answer.from_json({**ONE, "colour": "blue"})
    assert answer.json["colour"] == "blue"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell(5, 1.0, None), "5 (1 to ∞)"),
        (Cell(5, None, 9.0), "5 (-∞ to 9)"),
        (Cell(5.5, 5.0, 6.0), "5.50 ± 0.50"),
        (Cell(29.92601, 29.7572, 30.0933), "29.93 (29.76 to 30.09)"),
        (Cell(1234.5, 1000.0, 2000.0), "1,234 (1,000 to 2,000)"),
        (Cell(2.5, 2.5, 2.5), "2.5 ± 0"),
        (Cell(0, 0.0, 0.0), "0 ± 0"),
        (Cell("text", None, None), "text"),
        (True, "true"),
        (12345, "12,345"),
    ],
)
def test_cells_read_as_people_write_numbers(cell: Any, text: str) -> None:
    assert shown(cell) == text
