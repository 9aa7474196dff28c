"""One board of totals in several processes, on a real Redis."""

from __future__ import annotations

from processes import FAST, SHARDS, SLOW, Processes

from foundation.leases import Holder

PEERS = tuple(f"peer-{number}.example" for number in range(12))
VIDEOS = tuple(range(1, 9))


async def test_what_one_process_decides_is_due_in_all_others(house: Processes) -> None:
    await house.begin(3)
    for video in VIDEOS:
        await house.observe(video, 5)
    for peer in PEERS:
        assert sorted(house.server_of(peer).due(peer)) == list(VIDEOS)
        assert sorted(house.server_of(peer).due(peer, SLOW)) == list(VIDEOS)


async def test_each_peer_is_served_by_one_process(house: Processes) -> None:
    processes = await house.begin(3)
    for video in VIDEOS:
        await house.observe(video, 5)
    for peer in PEERS:
        assert sum(bool(process.due(peer)) for process in processes) == 1
        assert sum(process.board.is_due(FAST, peer) for process in processes) == 1


async def test_only_the_holder_of_its_shard_decides_about_a_video(house: Processes) -> None:
    one, two = await house.begin(2)
    other = two if one.owns(1) else one
    other.board.observe(1, 5, other.now_ms())
    await house.exchange()
    assert [process.due(peer) for peer in PEERS for process in (one, two)] == [[]] * 24


async def test_what_others_do_not_see_yet_is_due_for_nobody(house: Processes) -> None:
    (one,) = await house.begin(1)
    one.board.observe(1, 5, one.now_ms())
    assert one.due(PEERS[0]) == []
    assert not one.board.is_due(FAST, PEERS[0])
    await one.board.exchange()
    assert one.due(PEERS[0]) == [1]


async def test_delivered_is_due_no_more_and_a_change_is_again(house: Processes) -> None:
    await house.begin(2)
    for video in VIDEOS:
        await house.observe(video, 5)
    server = house.server_of(PEERS[0])
    assert sorted(await server.deliver(PEERS[0])) == list(VIDEOS)
    assert not server.board.is_due(FAST, PEERS[0])
    await house.observe(3, 6)
    assert server.due(PEERS[0]) == [3]


async def test_who_takes_over_from_a_killed_process_sends_what_was_not_and_nothing_twice(house: Processes) -> None:
    one, two = await house.begin(2)
    for video in VIDEOS:
        await house.observe(video, 5)
    served_by_one = [peer for peer in PEERS if one.leases.holds(peer)]
    assert served_by_one
    told, untold = served_by_one[::2], served_by_one[1::2]
    for peer in told:
        await one.deliver(peer)
    await house.kill(one)
    await house.settle(two)
    await house.exchange()
    assert [two.due(peer) for peer in told] == [[]] * len(told)
    assert [sorted(two.due(peer)) for peer in untold] == [list(VIDEOS)] * len(untold)
    for video in VIDEOS:
        await house.observe(video, 7)
    assert {len(two.due(peer)) for peer in served_by_one} == {len(VIDEOS)}, "what changes later is due for all of them"


async def test_what_is_delivered_while_a_shard_is_let_go_of_is_written_down(house: Processes) -> None:
    one, two = await house.begin(2)
    await house.observe(1, 5)
    served_by_one = [peer for peer in PEERS if one.leases.holds(peer)]
    before = {peer: one.board.due(FAST, peer) for peer in served_by_one}

    async def last_round(shard: int) -> None:
        for peer, found in before.items():
            one.board.delivered(FAST, peer, found)
        await one.board.keep()

    one.leases.attend(Holder(last_round, last_round))
    await one.leases.stop()
    await house.settle(two)
    await house.exchange()
    assert [two.due(peer) for peer in served_by_one] == [[]] * len(served_by_one)


async def test_a_process_that_slept_through_its_lease_changes_nothing(house: Processes) -> None:
    one, two = await house.begin(2)
    mine = [video for video in VIDEOS if one.owns(video)]
    peer = next(peer for peer in PEERS if one.leases.holds(peer))
    for video in mine:
        await house.observe(video, 5)
    stale = one.board.due(FAST, peer)
    house.all.remove(one)
    try:
        await house.settle(two)
        # It wakes, and what it had in hand it wants to write.
        one.board.delivered(FAST, peer, stale)
        await one.board.keep()
        await two.board.exchange()
        assert sorted(two.due(peer)) == mine
    finally:
        house.all.append(one)


async def test_a_number_told_by_one_that_another_did_not_see_is_told_again(house: Processes) -> None:
    """A peer was told 6 while the board said 5; the number is 5 again before anybody looked: it has to hear that."""
    await house.begin(2)
    video = next(video for video in VIDEOS if house.owner(video) is house.all[0])
    peer = next(peer for peer in PEERS if house.server_of(peer) is house.all[1])
    await house.observe(video, 5)
    server = house.server_of(peer)
    server.board.sent(FAST, video, 6)
    await server.deliver(peer)
    await house.exchange()
    owner = house.owner(video)
    assert owner.board.marked == [video]
    await house.observe(video, 5)
    assert server.due(peer) == [video]


async def test_a_peer_that_comes_back_hears_everything(house: Processes) -> None:
    await house.begin(1)
    for video in VIDEOS:
        await house.observe(video, 5)
    (one,) = house.all
    await one.deliver(PEERS[0])
    one.board.forget_peer(PEERS[0])
    assert sorted(one.due(PEERS[0])) == list(VIDEOS)


async def test_the_board_outlives_a_redis_that_forgot_everything(house: Processes) -> None:
    one, two = await house.begin(2)
    for video in VIDEOS:
        await house.observe(video, 5)
    house.server.flush()
    await house.settle(one, two)
    await house.exchange()
    peer = PEERS[0]
    assert sorted(house.server_of(peer).due(peer)) == list(VIDEOS)
    await house.server_of(peer).deliver(peer)
    for video in VIDEOS:
        await house.observe(video, 0)
    assert sorted(house.server_of(peer).due(peer)) == list(VIDEOS), "nobody is said, and not forgotten"


async def test_all_processes_list_the_same_videos_as_watched(house: Processes) -> None:
    one, two = await house.begin(2)
    for video in VIDEOS:
        await house.observe(video, 5)
    await house.observe(2, 0)
    assert set(one.board.watched(100)) == set(two.board.watched(100)) == set(VIDEOS) - {2}
    assert len(VIDEOS) > SHARDS
