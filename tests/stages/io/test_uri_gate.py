from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.io.uri_gate import (
    DEFAULT_SCHEMES,
    HTTP_SCHEMES,
    check_dataset_uri,
    check_uri,
    is_public,
    public_address,
    shown_uri,
)
from stages.outcome import BadRow, Reason

PRIVATE_NETWORKS = ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (None, Reason.INVALID_ROW),
        (7, Reason.INVALID_ROW),
        (b"/a.mp4", Reason.INVALID_ROW),
        ("", Reason.INVALID_ROW),
        ("/" + "a" * 10_000, Reason.INVALID_ROW),
        ("/a\udcff.mp4", Reason.INVALID_ROW),
        ("/a\0.mp4", Reason.NOT_ALLOWED),
        ("/a\n.mp4", Reason.NOT_ALLOWED),
        ("/videos/../etc/passwd", Reason.NOT_ALLOWED),
        ("../a.mp4", Reason.NOT_ALLOWED),
        ("s3://bucket/../other/a.mp4", Reason.NOT_ALLOWED),
        ("/videos\\..\\a.mp4", Reason.NOT_ALLOWED),
        ("simplecache::s3://bucket/a.mp4", Reason.NOT_ALLOWED),
        ("zip://a.mp4::http://127.0.0.1/a.zip", Reason.NOT_ALLOWED),
        ("http://example.com/a.mp4", Reason.NOT_ALLOWED),
        ("HTTPS://example.com/a.mp4", Reason.NOT_ALLOWED),
        ("ftp://example.com/a.mp4", Reason.NOT_ALLOWED),
        ("ssh://host/a.mp4", Reason.NOT_ALLOWED),
        ("concat://a.mp4", Reason.NOT_ALLOWED),
        ("file:///videos/%2e%2e/etc/passwd", Reason.NOT_ALLOWED),
        ("file:///videos/a%00.mp4", Reason.NOT_ALLOWED),
        ("   ", Reason.INVALID_ROW),
        ("file://host/a.mp4", Reason.INVALID_ROW),
        ("FILE://host/a.mp4", Reason.INVALID_ROW),
        ("s3://[/a.mp4", Reason.INVALID_ROW),
        ("memory://a.mp4", Reason.NOT_ALLOWED),
        ("github://owner:repository@main/a.mp4", Reason.NOT_ALLOWED),
        ("reference://a.json", Reason.NOT_ALLOWED),
        ("local:///a.mp4", Reason.NOT_ALLOWED),
        (f"{'x' * 900}://a", Reason.NOT_ALLOWED),
    ],
)
def test_uris_that_are_refused(uri, reason):
    with pytest.raises(BadRow) as caught:
        check_uri(uri, DEFAULT_SCHEMES)
    assert caught.value.reason == reason
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("/videos/a.mp4", "file"),
        ("videos/..a.mp4", "file"),
        ("/videos/Tänzer 舞 \U0001f57a.mp4", "file"),
        ("file:///videos/a.mp4", "file"),
        ("s3://bucket/a b.mp4", "s3"),
        ("gs://bucket/a.mp4", "gs"),
        ("/videos/concat:a|b.mp4", "file"),
    ],
)
def test_uris_that_are_allowed(uri, scheme):
    assert check_uri(uri, DEFAULT_SCHEMES) == scheme


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://[/a.mp4", Reason.INVALID_ROW),
        ("http://[::1/a.mp4", Reason.INVALID_ROW),
        ("http://host:99999/a.mp4", Reason.INVALID_ROW),
        ("http://host:port/a.mp4", Reason.INVALID_ROW),
        ("http:///a.mp4", Reason.INVALID_ROW),
        ("http://", Reason.INVALID_ROW),
        ("http://user:secret@host/a.mp4", Reason.NOT_ALLOWED),
        ("simplecache::http://host/a.mp4", Reason.NOT_ALLOWED),
    ],
)
def test_http_urls_that_are_refused(url, reason):
    with pytest.raises(BadRow) as caught:
        check_uri(url, HTTP_SCHEMES)
    assert caught.value.reason == reason
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("url", ["http://host/a.mp4", "https://host:8443/a b?x=::1#y", "http://[2606:4700::1]/a.mp4"])
def test_http_urls_that_are_allowed(url):
    assert check_uri(url, HTTP_SCHEMES) == url.partition(":")[0]


@given(st.text() | st.from_regex(r"[a-z]{1,6}(::|://)[\[\]:@?#./a-z0-9]{0,30}"))
def test_the_gate_raises_nothing_else(text):
    for check in (check_uri, check_dataset_uri):
        with contextlib.suppress(BadRow):
            check(text, (*DEFAULT_SCHEMES, *HTTP_SCHEMES))


def test_datasets_are_not_read_by_http():
    check_dataset_uri("s3://bucket/prepared", (*DEFAULT_SCHEMES, "http"))
    with pytest.raises(BadRow, match="NotAllowed: scheme 'http'"):
        check_dataset_uri("http://host/prepared", (*DEFAULT_SCHEMES, "http"))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "0"),
        *("::1", "::", "fe80::1", "fe80::1%1", "fd00::1", "fec0::1", "ff02::1", "fd00:ec2::254"),
        *("::ffff:10.0.0.1", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
        *("2002:a00:1::", "2606:4700::5efe:10.0.0.1", "2001:0:0:0:0:0:f5ff:fffe"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    ],
)
def test_addresses_that_are_not_public_however_they_are_written(host):
    with pytest.raises(BadRow) as caught:
        public_address(host, 80)
    assert caught.value.reason in (Reason.NOT_ALLOWED, Reason.NOT_FOUND)


@given(st.sampled_from(PRIVATE_NETWORKS).flatmap(lambda text: st.ip_addresses(v=4, network=text)))
def test_ipv6_forms_of_private_addresses_are_not_public(address):
    value = int(address)
    forms = {
        "IPv4": address,
        "mapped": ipaddress.IPv6Address(0xFFFF << 32 | value),
        "compatible": ipaddress.IPv6Address(value),
        "translated": ipaddress.IPv6Address(0xFFFF << 48 | value),
        "NAT64": ipaddress.IPv6Address(0x64FF9B << 96 | value),
        "local NAT64": ipaddress.IPv6Address(0x64FF9B0001 << 80 | value),
        "6to4": ipaddress.IPv6Address(0x2002 << 112 | value << 80),
        "Teredo": ipaddress.IPv6Address(0x20010000 << 96 | value ^ 0xFFFFFFFF),
        "ISATAP": ipaddress.IPv6Address(0x26064700 << 96 | 0x5EFE << 32 | value),
    }
    assert not [name for name, form in forms.items() if is_public(str(form))]


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:secret@bucket/a.mp4?token=secret#secret", "s3://bucket/a.mp4"),
        ("http://[?secret", "http://["),
        ("/videos/a?b#c.mp4", "/videos/a?b#c.mp4"),
    ],
)
def test_shown_uris_hold_no_credentials(uri, shown):
    assert shown_uri(uri) == shown
