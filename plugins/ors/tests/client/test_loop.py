"""One loop serves every thread and every other loop, and nobody waits for ever."""

import asyncio
import random
import threading

import pytest

from trainwright_ors.client import Client, Deadline, Deadlines, iterate, run
from trainwright_ors.client.loop import on_loop


async def thread():
    return threading.current_thread().name


def test_coroutines_run_in_one_thread_whoever_asks():
    names = [run(thread())]
    other = threading.Thread(target=lambda: names.append(run(thread())))
    other.start()
    other.join()
    names.append(asyncio.run(on_loop(thread)()))
    assert names == ["trainwright-ors"] * 3


def test_waiting_for_the_loop_on_the_loop_is_refused():
    async def wrong():
        return run(thread())

    with pytest.raises(RuntimeError, match="await the coroutine"):
        run(wrong())


def test_what_takes_too_long_is_cancelled():
    ended = threading.Event()

    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(Deadline, match=r"0.1 s"):
        run(slow(), 0.1)
    assert ended.wait(5)


def test_a_time_out_of_the_coroutine_s_own_is_not_taken_for_the_caller_s():
    async def own():
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run(own(), 5)


def test_a_cancelled_waiter_on_another_loop_cancels_the_work():
    ended = threading.Event()

    @on_loop
    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def waiter():
        await asyncio.wait_for(slow(), 0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(waiter())
    assert ended.wait(5)


def test_a_generator_is_read_from_plain_code_and_closed_when_left():
    closed = threading.Event()

    async def numbers():
        try:
            for n in range(100):
                yield n
        finally:
            closed.set()

    for n in iterate(numbers()):
        if n == 3:
            break
    assert closed.wait(5)


def test_sessions_are_used_from_a_loop_of_the_user_s_own(raw):
    async def episode():
        session = await Client(raw.url).open("mathenv", split="train", index=0)
        results = await asyncio.gather(*(session.call("add", {"n": n}) for n in range(3)))
        await session.close()
        return len(results)

    assert asyncio.run(episode()) == 3
    assert not raw.alive


def test_the_process_s_random_numbers_are_left_alone(raw):
    random.seed(1)
    wanted = random.random()
    random.seed(1)
    raw.answers["list_environments"] = lambda asked, said=[b"HTTP/1.1 502 x\r\ncontent-length: 0\r\n\r\n"]: (
        said.pop() if said else None
    )
    run(Client(raw.url).describe())
    assert random.random() == wanted


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_deadline_is_a_positive_number(seconds):
    with pytest.raises(ValueError, match="'idle'"):
        Deadlines(idle=seconds)
