"""How much a diff may hurt: 0 (nothing changes) to 100.

Each changed line counts: little if it is ordinary, more if it is about what carries traffic, most if such a line goes
away. Comments, descriptions and lines that only moved count nothing.
"""

import re
from collections import Counter
from functools import lru_cache

ADDED, ADDED_SENSITIVE, REMOVED, REMOVED_SENSITIVE = 1, 2, 2, 10

_HEADER = re.compile(r"^(\+\+\+ |--- |@@|\[edit)")
_HARMLESS = re.compile(r"^([!#;]|/\*|\*/|\*\s|(no )?(description|remark|alias|name|banner)\b)|^(set .* description )")
_SENSITIVE = re.compile(
    r"\b(ip|ipv4|ipv6|inet6?|address|vlans?|vlan-id|switchport|encapsulation|neighbou?r|peer|router|bgp|ospf3?|isis|rip"
    r"|route|static|vrf|vni|vxlan|evpn|mpls|network|redistribute|route-map|policy-statement|prefix-list|access-list"
    r"|access-group|acl|filter|permit|deny|channel-group|lacp|spanning-tree|shutdown|disable|aaa|tacacs|radius"
    r"|username|snmp-server community)\b",
    re.IGNORECASE,
)
_TAKES_AWAY = re.compile(r"^((no|undo|delete|deactivate|inactive:)\s(?!shutdown)|(shutdown|disable);?$)", re.IGNORECASE)


def change_score(diff: str) -> int:
    """The score of one device's diff, as NAPALM gives it: lines that begin with + or - are what changes."""
    balance: dict[str, int] = {}  # above zero: added; below: taken away; zero: it only moved
    for line, count in Counter(diff.splitlines()).items():
        if line[:1] in ("+", "-"):
            text, sign = _change(line)
            balance[text] = balance.get(text, 0) + sign * count
    points = sum(abs(count) * _points(text, added=count > 0) for text, count in balance.items() if count)
    return min(points, 100)


@lru_cache(maxsize=20_000)  # devices of one type have most of their lines in common
def _change(line: str) -> tuple[str, int]:
    """What a line of a diff is about, and whether that is added (1), taken away (-1), or of no weight (0)."""
    sign, text = line[0], line[1:].strip()
    if not text or _HEADER.match(line) or _HARMLESS.match(text):
        return text, 0
    takes_away = bool(_TAKES_AWAY.match(text)) != (sign == "-")  # taking away a "no …" gives something back
    return text, -1 if takes_away else 1


@lru_cache(maxsize=20_000)
def _points(text: str, *, added: bool) -> int:
    if _SENSITIVE.search(text):
        return ADDED_SENSITIVE if added else REMOVED_SENSITIVE
    return ADDED if added else REMOVED
