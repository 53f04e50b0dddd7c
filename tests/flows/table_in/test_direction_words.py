import pytest

from hf_ntg.flows.table_in.direction_words import passes_by, signs_of

PAIRS = [
    ("up", "down"), ("c->s", "s->c"), ("c2s", "s2c"), ("clienttoserver", "servertoclient"), ("to_server", "to_client"),
    ("toserver", "toclient"), ("a->b", "b->a"), ("l2r", "r2l"), ("client-to-server", "server-to-client"),
    ("from client to server", "from server to client"), ("from_client", "from_server"), ("src2dst", "dst2src"),
    ("s2d", "d2s"), ("client->server", "client<-server"), ("server<-client", "client<-server"), ("c=>s", "c<=s"),
    ("src > dst", "dst > src"), ("local->remote", "remote->local"), ("→", "←"), ("c→s", "s→c"), ("-->", "<--"),
    ("c", "s"), ("s", "d"), ("s", "r"), ("o", "i"), ("u", "d"), ("f", "b"), ("cs", "sc"), ("fwd", "bwd"), ("+", "-"),
]  # fmt: skip


@pytest.mark.parametrize(("up", "down"), PAIRS)
def test_words_from_the_initiator_and_to_it(up, down):
    assert signs_of({up, down}) == {up: 1, down: -1}


@pytest.mark.parametrize(
    "words", [{"red", "blue"}, {"s"}, {"total"}, {"10.0.0.1->10.0.0.2"}, {"auto", "tomato"}, {"2"}]
)
def test_unknown_words(words):
    assert signs_of(words) == {}


def test_words_of_the_capture_point():
    assert passes_by({"in", "out"})
    assert passes_by({"l2r", "r2l"})
    assert passes_by({"remote->local"})
    assert not passes_by({"client->server", "server->client"})
