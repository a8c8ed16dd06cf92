"""How risky a diff is: 0 (nothing changes) to 100.

Each changed line counts: little if it is ordinary, more if it concerns what carries traffic, most if such a line is
removed. Comments, descriptions and lines that only moved do not count.
"""

import re
from collections import Counter
from functools import lru_cache

ADDED, ADDED_SENSITIVE, REMOVED, REMOVED_SENSITIVE = 1, 2, 2, 10

_SIGNS = frozenset("+-")
_HEADERS = ("+++ ", "--- ")
_COMMENTS = ("!", "#", ";", "/*", "*/")
_WORDS = ("description", "remark", "alias ", "name ", "banner ")
_HARMLESS = (*_COMMENTS, *_WORDS, *(f"no {word}" for word in _WORDS))
_SET_DESCRIPTION = re.compile(r"^set .* description ")
_SENSITIVE = re.compile(
    r"\b(ip|ipv4|ipv6|inet6?|address|vlans?|vlan-id|switchport|encapsulation|neighbou?r|peer|router|bgp|ospf3?|isis|rip"
    r"|route|static|vrf|vni|vxlan|evpn|mpls|network|redistribute|route-map|policy-statement|prefix-list|access-list"
    r"|access-group|acl|filter|permit|deny|channel-group|lacp|spanning-tree|shutdown|disable|aaa|tacacs|radius"
    r"|username|snmp-server community)\b",
    re.IGNORECASE,
)
_TAKES_AWAY = re.compile(r"^((no|undo|delete|deactivate|inactive:)\s(?!shutdown)|(shutdown|disable);?$)", re.IGNORECASE)


def change_score(diff: str) -> int:
    """The score of one device's diff as NAPALM returns it: lines that begin with + or - are the changes."""
    lines = Counter([line for line in diff.splitlines() if line[:1] in _SIGNS])
    for line in [line for line in lines if line[0] == "-"]:
        moved = min(lines[line], lines["+" + line[1:]])
        if moved:
            lines[line] -= moved
            lines["+" + line[1:]] -= moved
    return min(sum([count * _points(line) for line, count in lines.items()]), 100)


@lru_cache(maxsize=50_000)  # devices of one type have most of their lines in common
def _points(line: str) -> int:
    sign, text = line[0], line[1:].strip()
    if not text or text.startswith(_HARMLESS) or line.startswith(_HEADERS) or _SET_DESCRIPTION.match(text):
        return 0
    takes_away = bool(_TAKES_AWAY.match(text)) != (sign == "-")  # removing a "no …" turns something on again
    if _SENSITIVE.search(text):
        return REMOVED_SENSITIVE if takes_away else ADDED_SENSITIVE
    return REMOVED if takes_away else ADDED
