import torch

from gpd.distillation.copies import HostRows, _Coming, send


class Arrived:
    """An event of a device that notes when it is waited for."""

    num_waits = 0

    def synchronize(self) -> None:
        self.num_waits += 1


def test_rows_of_the_host_are_there_at_once() -> None:
    rows = HostRows(torch.zeros(4))
    rows.write(torch.tensor([1, 3]), torch.tensor([5.0, 7.0]))
    assert rows.read(torch.tensor([3, 0])).tolist() == [7, 0]
    assert rows.all().tolist() == [0, 5, 0, 7]


def test_a_row_under_way_is_waited_for_when_it_is_read_and_in_its_order() -> None:
    rows, events = HostRows(torch.zeros(4)), [Arrived() for _ in range(3)]
    for place, value, event in zip((1, 2, 1), (5.0, 6.0, 7.0), events, strict=True):
        rows.coming.append(_Coming(torch.tensor([place]), torch.tensor([value]), event))  # type: ignore[arg-type]
    assert rows.read(torch.tensor([0, 3])).tolist() == [0, 0]
    assert [event.num_waits for event in events] == [0, 0, 0]
    assert rows.read(torch.tensor([2])).tolist() == [6]
    assert [event.num_waits for event in events] == [1, 1, 0]
    assert rows.all().tolist() == [0, 7, 6, 0]
    assert [event.num_waits for event in events] == [1, 1, 1]


def test_what_is_there_already_is_sent_nowhere() -> None:
    tensor = torch.ones(2)
    assert send(tensor, torch.device("cpu")) is tensor
