"""What was measured as a page for people: `proxy/docs/performance.md`. Numbers and words in, text out."""

from lib.bench import callgrind, growth, report

NAMES = {"bascule": "Bascule", "bare": "bare Pingora", "haproxy": "HAProxy", "nginx": "nginx", "envoy": "Envoy", "caddy": "Caddy"}

HEAD = """# What a request costs

<!-- Written by `loadtest/measure --page` from loadtest/results/; the words are in loadtest/lib/bench/document.py. -->

Bascule does a good deal for each request that a plain proxy does not: it holds the response back until it is whole, watches
the backend while it waits, keeps what may be sent again, and counts all of it. This page says what that costs, beside
proxies that do less, and beside a [Pingora proxy](../benches/bare_pingora.rs) that forwards and does nothing else.

## Processor time

"""

HOW = """
Microseconds of processor time per request (user and system, by the kernel's accounts), medians of {rounds} round(s) of
{seconds} s; for idle connections KiB of memory each; the wait is one of the clock. In brackets: what Bascule takes of
that, as the median of the rounds' own ratios. One proxy at a time has a core to itself; what sends the load, and the
nginx behind, share another.
Health checks, outlier detection, suspicion, budgets, hold-back, metrics and incidents are on in Bascule, as by default.

On a machine that others use at the same time all of these are too high, and only the ratios mean anything.

To repeat it: `make bench`. One case: `make bench ARGS="get --rounds 5"`.

- machine: {cpu}, {count} cores, Linux {kernel}
{versions}
"""

INSTRUCTIONS = """
## Instructions

What Bascule itself executes in user space for one request, counted by callgrind (`make instructions`). Noise does not touch
these numbers, so `make test` holds them within bounds. The kernel's part is not in them, and a copy counts an instruction
for each byte, which the processor does at some thirty a cycle: time is what the table above is for.

| | instructions | at most |
|---|---|---|
{rows}

## System calls

Per request on kept connections, 64 at a time, by `strace -c -f`; `epoll_wait`, which tells of many requests at once, left out:

| | GET 1 KiB | POST 4 KiB |
|---|---|---|
| Bascule | 2 sends, 2 receives | 2 sends, 2 receives |
| bare Pingora | 2 sends, 2 receives, 1 getpeername | 4 sends, 2 receives, 1 getpeername |
| HAProxy | 2 sends, 2 receives | 2 sends, 2 receives |

Whether an idle connection to a backend still stands is known from the event loop where another attempt would be free, and
asked of the kernel otherwise: for second attempts, and for POSTs under TLS. What a backend's kernel must have confirmed
for a POST to have arrived is known from what was sent on the connection before; it is asked only where one fails.
"""

GROWTH = """
## What grows with what

Memory and processor time of the whole process, over {seconds:g} s in a steady state, while one number changes and all others
stay: two backends, one route, 200 requests a second, nobody idle, nobody reading, no incident (`make growth`). What each
costs is the slope of a straight line through the values. Where the end is steeper than that, growth is worse than linear.

{table}

{checks}
"""

LIGHTER = """
- **{names} {take} less for small requests**, and will: heads are parsed in place, in buffers that never move, with no hash
  map, no reference counts and hardly an allocation per request. Bascule sorts each request's head into the hash map of
  Pingora's type, and allocates some twenty times. The rest is its work: what may be sent again is
  kept, what is waited for is watched, what comes back is held until it is whole. Part of the gap makes itself: whoever
  is quicker finds the neighbours awake more often, and waking them is done in the sender's time."""

READING = """
## How to read it
{lighter}
- **Beside bare Pingora** Bascule saves what its engine does instead of Pingora's proxying: no channels between two halves,
  no task per idle connection, heads passed on as lines, head and body in one write in each direction.
- **Large responses** are cheap: pieces are passed on as they came, and the more of one is there the more is read at a time.
- **Over TLS** less of that shows, and **over HTTP/2** little: what rustls and h2 take is taken by both.
- **Idle clients** hold no buffers, parser or request: those are made when a request begins.

## What was done about it

- Memory is allocated by [mimalloc](https://github.com/microsoft/mimalloc), a third of the instructions of the system's.
- The release build is linked as one piece (`lto = "fat"`, `codegen-units = 1`).
- A request to a backend is written from lines that are borrowed from the client's (`exchange/lines.rs`, `exchange/draft.rs`), the
  head of a response from the backend's.
- Requests over HTTP/1.1 have a session of our own (`edge/session.rs`): Pingora's would parse the head
  once more, sort the response's into hash maps, and copy both bodies. A short response goes to it in one step.
- They are served without Pingora's frame around each (`gateway/request.rs`), which makes a future with room for all that
  its own proxying may need: 7 KiB, copied twice when it is boxed. The future that takes its place is made once for all
  requests that come within 25 ms of each other (`edge/http1.rs`), and so are the timer between them and the buffers.
- A response's headers are places in the bytes of its head (`wire/fields.rs`), not values that are counted one by one.
- What is ready at the same time is sent together (`exchange/burst.rs`): to send to a process that sleeps takes several
  times as long as to one that was just woken.
- A request waits in a future that has no room for what few requests need (`exchange.rs`).
- A request of a few KiB is received in one call, and sent in one.
- The clock is read once in what is done in one go (`clock::step`), not each time that somebody asks.
- With `threads: 1` the data plane has a runtime for one thread: one that shares work keeps books of it, for which
  it reads the clock four times around each wait, not twice. With more threads work is shared.

Profile-guided optimisation is not used: a profile goes stale with every change of the code it was made with, and packages
are built where nobody runs load.
"""


def page(measured, instructions, grown=None):
    """The whole page. `measured` is measure.json, `instructions` instructions.json or None, `grown` growth.json."""
    machine = measured["machine"]
    versions = "\n".join(f"- {NAMES.get(name, name)}: {text}" for name, text in measured["versions"].items() if text)
    how = HOW.format(
        rounds=measured["rounds"], seconds=measured["seconds"], cpu=machine["cpu"], count=machine["cores"],
        kernel=machine["kernel"], versions=versions,
    )
    # What whoever measured has to say of it.
    how += f"- {measured['note']}\n" if "note" in measured else ""
    text = HEAD + report.table(measured["results"]) + "\n" + how + _goals(measured["results"])
    if instructions:
        rows = [
            f"| {callgrind.CASES[name].says} | {count:,} | {callgrind.CASES[name].at_most:,} |"
            for name, count in instructions["instructions"].items() if name in callgrind.CASES
        ]
        text += INSTRUCTIONS.format(rows="\n".join(rows))
    if grown:
        checks = growth.words(grown["checks"])
        text += GROWTH.format(seconds=grown["seconds"], table=growth.table(grown["results"]), checks=checks)
    return text + READING.format(lighter=_lighter(measured["results"]))


def _lighter(results):
    """Why others take less for a small request: said of those that were measured, and did."""
    get = next((result["median"] for result in results if result["case"] == "get"), {})
    names = [NAMES[name] for name in ("haproxy", "nginx") if name in get and get[name] < get.get("bascule", 0)]
    if not names:
        return ""
    one = len(names) == 1
    return LIGHTER.format(names=" and ".join(names), take="takes" if one else "take", them="it" if one else "them")


def _goals(results):
    """Which goals are missed, in words: a table does not say it loudly enough."""
    missed = [
        f"- {result['says']}: {goal['ratio']:.2f} of {NAMES[goal['beside']]}, the goal is {goal['at_most']:g}"
        for result in results for goal in result["goals"] if goal["met"] is False
    ]
    if not missed:
        return "\nAll goals are met.\n"
    return "\nGoals that are missed:\n\n" + "\n".join(missed) + "\n"
