"""gRPC by its own library, without generated code: messages are bytes as they are.

usage: calls.py serve PORT NAME     a server that answers until it is ended
       calls.py call PORT           every kind of call through a proxy; prints what was seen as JSON
"""

import json
import sys
import time
from concurrent import futures

import grpc

SERVICE = "bascule.Test"
# HealthCheckResponse with status SERVING (grpc.health.v1).
SERVING = b"\x08\x01"


def unary(request, context):
    context.set_trailing_metadata((("x-served", "yes"),))
    return request


def counted(request, _context):
    for number in range(int(request)):
        yield str(number).encode()


def summed(requests, _context):
    return str(sum(int(it) for it in requests)).encode()


def echoed(requests, _context):
    yield from requests


def late(request, _context):
    time.sleep(5)
    return request


def missing(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing: é")


def serve(port, name):
    handlers = {
        "Named": grpc.unary_unary_rpc_method_handler(lambda _request, _context: name.encode()),
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Counted": grpc.unary_stream_rpc_method_handler(counted),
        "Summed": grpc.stream_unary_rpc_method_handler(summed),
        "Echoed": grpc.stream_stream_rpc_method_handler(echoed),
        "Late": grpc.unary_unary_rpc_method_handler(late),
        "Missing": grpc.unary_unary_rpc_method_handler(missing),
    }
    health = {"Check": grpc.unary_unary_rpc_method_handler(lambda _request, _context: SERVING)}
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler(SERVICE, handlers),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
    ))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def status_of(call):
    """How a call ended that must not succeed."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def call(port):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    path = lambda method: f"/{SERVICE}/{method}"  # noqa: E731
    # First: who lets one wait beyond its deadline gets no more for a while.
    named = channel.unary_unary(path("Named"))(b"", timeout=10).decode()
    one = channel.unary_unary(path("Unary"))
    answers = [one(str(number).encode(), timeout=10) for number in range(200)]
    _, ended = one.with_call(b"x" * 1_000_000, timeout=10)
    numbers = [b"1"] * 50
    print(json.dumps({
        "unary": sum(answer == str(number).encode() for number, answer in enumerate(answers)),
        "trailer": dict(ended.trailing_metadata()).get("x-served"),
        "counted": len(list(channel.unary_stream(path("Counted"))(b"100", timeout=10))),
        "summed": int(channel.stream_unary(path("Summed"))(iter(numbers), timeout=10)),
        "echoed": list(channel.stream_stream(path("Echoed"))(iter(numbers), timeout=10)) == numbers,
        "late": status_of(lambda: channel.unary_unary(path("Late"))(b"", timeout=0.5))[0],
        "missing": status_of(lambda: channel.unary_unary(path("Missing"))(b"", timeout=10)),
        "unknown": status_of(lambda: channel.unary_unary("/bascule.Test/Nothing")(b"", timeout=10))[0],
        "named": named,
    }))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        call(int(sys.argv[2]))
