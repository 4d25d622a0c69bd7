"""The order in which jobs start: who shares a trained network waits for the one that trains it."""

from pathlib import Path

from ecgexp.sweep.task import Task, Turns, leaders_first


def tasks(groups: str) -> list[Task]:
    return [
        Task(
            number=number,
            job_file=Path(f"{number}.yaml"),
            log_file=Path(f"{number}.log"),
            group=group,
            parent_run_id="parent",
            sweep_id="sweep",
            session="session",
            force=False,
        )
        for number, group in enumerate(groups, 1)
    ]


def numbers(some: list[Task]) -> list[int]:
    return [task.number for task in some]


def test_the_first_of_each_group_comes_first() -> None:
    assert numbers(leaders_first(tasks("aabbca"))) == [1, 3, 5, 2, 4, 6]


def test_others_of_a_group_wait_until_its_first_has_ended() -> None:
    given = tasks("aabb")
    turns = Turns(given)
    assert numbers(turns.take(9)) == [1, 3]
    assert turns.take(9) == []
    turns.ended(given[2])
    assert numbers(turns.take(9)) == [4]
    turns.ended(given[0])
    assert numbers(turns.take(9)) == [2]


def test_no_more_are_taken_than_there_is_room_for() -> None:
    turns = Turns(tasks("abc"))
    assert numbers(turns.take(2)) == [1, 2]
    assert turns.take(0) == []
    assert numbers(turns.take(2)) == [3]
