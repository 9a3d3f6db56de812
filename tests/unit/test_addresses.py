import pytest

from demo.server.addresses import find_address, name_sender

PEER = "10.1.2.3"
SPACE = None


@pytest.mark.parametrize(
    ("told", "proxies", "found"),
    [
        ("", 0, PEER),
        ("8.8.8.8", 0, PEER),
        ("8.8.8.8", 1, "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8", 1, "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8, 9.9.9.9", 2, "8.8.8.8"),
        ("8.8.8.8", 2, PEER),
        ("", 1, PEER),
        ("8.8.8.8", SPACE, "8.8.8.8"),
        ("8.8.8.8, 10.0.0.7, 10.0.0.8", SPACE, "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8, 10.0.0.7", SPACE, "8.8.8.8"),
        ("10.0.0.7", SPACE, "10.0.0.7"),
        ("", SPACE, PEER),
        ("<script>, 8.8.8.8:4711", SPACE, "8.8.8.8"),
        ("[2600:1f18::1]:443", SPACE, "2600:1f18::1"),
        ("2600:1f18::1", 1, "2600:1f18::1"),
    ],
)
def test_only_what_a_known_proxy_added_is_believed(
    told: str, proxies: int | None, found: str
) -> None:
    headers = [(b"host", b"x"), (b"x-forwarded-for", told.encode())] if told else []
    assert find_address(headers, PEER, proxies) == found


def test_header_may_come_in_parts() -> None:
    headers = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"8.8.8.8")]
    assert find_address(headers, PEER, 1) == "8.8.8.8"


def test_network_of_64_bits_is_one_sender() -> None:
    assert name_sender("2001:db8:0:1::1") == name_sender("2001:db8:0:1:ffff::2%eth0")
    assert name_sender("2001:db8:0:1::1") != name_sender("2001:db8:0:2::1")
    assert name_sender("::ffff:192.0.2.1") == name_sender("192.0.2.1") == "192.0.2.1"
    assert name_sender("not an address: really") == "not an address: really"
