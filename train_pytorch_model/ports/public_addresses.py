"""Which IP addresses belong to the public internet."""

import ipaddress

_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            # IANA's registry of special-purpose IPv4 addresses
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # every virtual machine of Azure reaches its host there
        ),
    )
)
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")  # all that IANA has given out
_NOT_PUBLIC_6 = tuple(
    map(
        ipaddress.IPv6Network,
        # IANA's registry of special-purpose IPv6 addresses; Teredo is within the first, 2002:: is
        # 6to4: both hold an IPv4 address to which what is sent goes on.
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Whether ``address``, numeric as ``getaddrinfo`` gives it, is one of the public internet.

    Private, shared, loopback, link-local (with the metadata services of clouds), multicast,
    reserved and unspecified addresses are not, nor is IPv6 that leads to such IPv4.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip)
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    return ip in _UNICAST_6 and not any(ip in network for network in _NOT_PUBLIC_6)
