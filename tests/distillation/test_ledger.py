import json

from gpd.distillation.ledger import Ledger


def test_evaluations_add_up_by_role() -> None:
    ledger = Ledger()
    ledger.spend({"teacher": 2, "student": 3})
    ledger.spend({"teacher": 2, "probe": 5})
    assert ledger.forwards == {"teacher": 4, "previous": 0, "student": 3, "probe": 5}


def test_the_curve_has_the_first_iteration_and_about_a_hundred_more() -> None:
    ledger = Ledger()
    for iteration in range(1, 1001):
        ledger.note(iteration, 1000, loss=0.1 * iteration)
    assert [row["iteration"] for row in ledger.curve] == [1, *range(10, 1001, 10)]


def test_a_short_stages_curve_has_every_iteration() -> None:
    ledger = Ledger()
    for iteration in range(1, 8):
        ledger.note(iteration, 7, loss=0.1)
    assert [row["iteration"] for row in ledger.curve] == [1, 2, 3, 4, 5, 6, 7]


def test_a_ledger_comes_back_from_json_to_the_last_bit() -> None:
    ledger = Ledger(losses=[0.1 + 0.2, 1 / 3])
    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger


def test_what_is_read_back_is_written_as_before() -> None:
    """A resumed stage's training.csv and manifest are those of an uninterrupted one, to the byte."""
    ledger = Ledger()
    ledger.note(1, 10, loss=0.5, learning_rate=0.0)
    again = Ledger.model_validate(json.loads(json.dumps(ledger.model_dump())))
    assert str(again.curve) == str(ledger.curve)
