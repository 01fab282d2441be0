"""A conversation between ordinary clients: `python talk.py HOST:PORT`, of a running server."""

import asyncio
import json
import secrets
import sys

from wire import Client, check, history, main, make_room, receive, receive_type, sign_up, socket

MESSAGES = 50


async def talk(address):
    """Each of the conversations below, in a room of its own."""
    mark = secrets.token_hex(4)
    ann = await sign_up(address, f"ann-{mark}")
    ben = await sign_up(address, f"ben-{mark}")
    await two_people(address, ann, ben)
    await back_after_an_absence(address, ann, ben)
    await three_frames(address, ann, ben)


async def two_people(address, ann, ben):
    """Both talk at once; both hear the same, each message once, their own too."""
    room = await make_room(address, ann, "Two people")
    people = [Client("ann", ann, room), Client("ben", ben, room)]
    for person in people:
        await person.enter(address)

    async def speak(person):
        for _ in range(MESSAGES):
            await person.say()

    def done(person):
        return lambda: len(person.log) == 2 * MESSAGES and not person.unacked

    await asyncio.gather(
        *(speak(person) for person in people),
        *(person.hear_until(done(person), "every message and every ack") for person in people),
    )
    a, b = people
    check(list(a.log.items()) == list(b.log.items()), "both hear the same in the same order")
    said = {f"{person.name}-{n + 1:06}" for person in people for n in range(MESSAGES)}
    check(set(a.log.values()) == said, "each message is heard once, and nothing else")
    for person in people:
        for id, seq in person.acked.items():
            check(person.log[seq] == id, f"the ack of {id} names its seq")
    stored = {message["seq"]: message["message"] for message in await history(address, ann, room)}
    check(stored == a.log, "history is what was heard")

    # The same id again: the same answer, and nobody hears it twice.
    id, seq = next(iter(a.acked.items()))
    await a.send(type="chat", roomId=room, message=id, id=id)
    ack = await receive_type(a.ws, "ack")
    check((ack["seq"], ack.get("duplicate")) == (seq, True), f"a duplicate is told: {ack}")
    check(len(await history(address, ann, room)) == 2 * MESSAGES, "a duplicate is not stored")
    for person in people:
        await person.leave()
    print(f"two people: {2 * MESSAGES} messages, heard once by both, in one order")


async def back_after_an_absence(address, ann, ben):
    """One goes away, the other talks on; nothing is missing when the first is back."""
    room = await make_room(address, ann, "Absence")
    a, b = Client("ann", ann, room), Client("ben", ben, room)
    await a.enter(address)
    await b.enter(address)
    await a.say("before")
    await b.hear_until(lambda: len(b.log) == 1, "the first message")
    await b.leave()
    for number in range(MESSAGES):
        await a.say(f"while away {number}")
    await a.hear_until(lambda: not a.unacked, "every ack")
    await b.enter(address)
    await a.say("after")
    total = MESSAGES + 2
    await asyncio.gather(
        a.hear_until(lambda: len(a.log) == total, "all of it"),
        b.hear_until(lambda: len(b.log) == total, "what was missed, and what followed"),
    )
    check(list(b.log.items()) == list(a.log.items()), "who was away holds the same")
    for person in (a, b):
        await person.leave()
    print(f"absence: {MESSAGES} messages made up for, then the live ones")


async def three_frames(address, ann, ben):
    """A client that knows join_room, leave_room and chat, and takes what else comes for noise."""
    room = await make_room(address, ann, "Three frames")
    async with socket(address, ann) as a, socket(address, ben) as b:
        for ws in (a, b):
            await ws.send(json.dumps({"type": "join_room", "roomId": str(room)}))
            # It cannot know that `joined` tells it is in; but nothing is lost for waiting.
            await receive_type(ws, "joined")
        for number in range(3):
            await a.send(json.dumps({"type": "chat", "roomId": room, "message": f"hi {number}"}))
        for ws in (a, b):
            heard = [(await receive_type(ws, "chat"))["message"] for _ in range(3)]
            check(heard == ["hi 0", "hi 1", "hi 2"], f"three messages in order: {heard}")
        await b.send(json.dumps({"type": "leave_room", "roomId": room}))
        await receive_type(b, "left")
        await a.send(json.dumps({"type": "chat", "roomId": room, "message": "still there?"}))
        check((await receive_type(a, "chat"))["message"] == "still there?", "its own message")
        # Whatever b still gets before the answer to its next frame is not of this room.
        await b.send(json.dumps({"type": "chat", "roomId": room, "message": "from outside"}))
        while (frame := await receive(b))["type"] != "error":
            check(frame["type"] != "chat", f"heard after leaving: {frame}")
        check(frame["code"] == "not_in_room", f"who has left cannot talk: {frame}")
    print("three frames: join_room, chat and leave_room do what they always did")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: talk.py HOST:PORT")
    main(talk(sys.argv[1]))
