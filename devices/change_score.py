"""How much a diff may hurt: 0 (nothing changes) to 100.

Each changed line counts: little if it is ordinary, more if it is about what carries traffic, most if such a line goes
away. Comments, descriptions and lines that only moved count nothing.
"""

import re
from collections import Counter

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
    added, removed = Counter[str](), Counter[str]()
    for line in diff.splitlines():
        sign, text = line[:1], line[1:].strip()
        if sign not in ("+", "-") or not text or _HEADER.match(line) or _HARMLESS.match(text):
            continue
        takes_away = bool(_TAKES_AWAY.match(text)) != (sign == "-")  # taking away a "no …" gives something back
        (removed if takes_away else added)[text] += 1
    points = 0
    for text, count in (added - removed).items():
        points += count * (ADDED_SENSITIVE if _SENSITIVE.search(text) else ADDED)
    for text, count in (removed - added).items():
        points += count * (REMOVED_SENSITIVE if _SENSITIVE.search(text) else REMOVED)
    return min(points, 100)
