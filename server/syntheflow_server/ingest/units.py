"""Numbers that carry a unit or a currency: '12.5 kg', '$1,200.00', '45%', '(1,200)'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from syntheflow_server.ingest.kinds import Kind
from syntheflow_server.ingest.number_kinds import WHOLE, money_kinds

_CURRENCIES_LISTED = """
$ € £ ¥ ₹ ₽ ₩ ₪ ₫ ₴ ₦ ฿ ₺ ₱ ¢ US$ A$ AU$ C$ CA$ R$ HK$ NZ$ S$ NT$ Rs Rs. kr kr. zł Kč Ft Fr.
USD EUR GBP JPY CNY INR CHF CAD AUD NZD SEK NOK DKK PLN CZK HUF RUB BRL MXN ZAR TRY KRW SGD
HKD TWD THB IDR MYR PHP ILS AED SAR EGP NGN KES UAH RON BGN ISK VND CLP COP ARS PEN
"""
_CURRENCIES = frozenset(_CURRENCIES_LISTED.split())
_UNITS_LISTED = """
% ‰ ° °C °F ºC ºF µm um nm mm cm dm m km in inch inches ft yd mi mile miles nmi µg ug mg g
kg t lb lbs oz st ton tons tonnes ml mL cl dl l L liter liters litre litres gal pt qt cc m2
m3 m² m³ cm2 cm3 cm² cm³ km2 km² ft2 ft² ft3 sqft sqm ha ac acres ns µs us ms s sec secs
second seconds min mins minute minutes h hr hrs hour hours d day days wk week weeks mo month
months yr yrs year years kph mph km/h m/s knots kn rpm bpm fps Hz kHz MHz GHz B KB kB MB GB
TB KiB MiB GiB bit bits byte bytes bps kbps Kbps Mbps Gbps mV V kV mA A mAh Ah W mW kW MW GW
Wh kWh MWh J kJ MJ cal kcal Pa hPa kPa MPa mbar bar psi atm mmHg K N kN Nm hp PS dB dBm lm
lx cd mol mmol ppm ppb px dpi pcs pts people persons rooms beds stars items units bp x
"""
_UNITS = frozenset(_UNITS_LISTED.split())
_WORD = re.compile(r"[a-z]{3,12}")
_NUMBER = r"[.0-9](?:[0-9.,'\u2019\u00a0\u202f ]*[0-9])?"
_SHAPE = re.compile(rf"-?([^\d\s(),.'-][^\d()'-]*?)?[ \u00a0]*-?({_NUMBER})([ \u00a0]*)(\D*)")
_BLANK = "[ \u00a0]*"


@dataclass(frozen=True, slots=True)
class Affix:
    """What stands before and after every number of a column; `brackets` mean minus."""

    before: str
    after: str
    brackets: bool

    @property
    def money(self) -> bool:
        """Tell whether the number is an amount of money."""
        return self.before in _CURRENCIES or self.after in _CURRENCIES


def is_unit(text: str) -> bool:
    """Tell whether a text, in brackets or not, names a unit or a currency."""
    bare = text[1:-1] if len(text) > 2 and text[0] + text[-1] in {"()", "[]"} else text
    if bare in _UNITS or bare in _CURRENCIES:
        return True
    return "/" in bare and all(part in _UNITS or part in _CURRENCIES for part in bare.split("/"))


def common_affix(texts: Sequence[str]) -> Affix | None:
    """Return what every one of the texts carries beside its number; None if nothing."""
    bracketed = [text.startswith("(") and text.endswith(")") for text in texts]
    brackets = any(bracketed) and not all(bracketed)
    bare = [
        text[1:-1] if b and brackets else text for text, b in zip(texts, bracketed, strict=True)
    ]
    found = _SHAPE.fullmatch(bare[0]) if bare else None
    if found is None:
        return None
    before, after = (found[1] or "").rstrip(" \u00a0"), found[4].strip(" \u00a0")
    if not _fits(before, after, apart=bool(found[3]), several=len(set(bare)) > 1):
        return None
    if not before and not after and not brackets:
        return None
    shape = re.compile(_pattern(before, _NUMBER, after))
    if not all(shape.fullmatch(text) for text in bare):
        return None
    return Affix(before, after, brackets)


def _fits(before: str, after: str, *, apart: bool, several: bool) -> bool:
    """Tell units from the letters of codes such as A12, 12B or 1234 AB."""
    if before and before not in _CURRENCIES:
        return False
    if not after:
        return True
    if len(after) == 1 and after.isascii() and after.isupper() and not apart:
        return False
    return is_unit(after) or (apart and several and _WORD.fullmatch(after) is not None)


def _pattern(before: str, number: str, after: str) -> str:
    first, last = re.escape(before), re.escape(after)
    return f"-?{first}{_BLANK}(?:{number}){_BLANK}{last}"


def unit_kinds(affix: Affix, kinds: Sequence[Kind]) -> list[Kind]:
    """Return number kinds that read the numbers between what `affix` says."""
    numbers = [kind for kind in kinds if kind is not WHOLE]
    if affix.money:
        numbers = money_kinds(numbers)
    sign = "'" + _sql(
        f"^(-?){re.escape(affix.before)}{_BLANK}(.*?){_BLANK}{re.escape(affix.after)}$"
    )
    stripped = f"regexp_replace({{v}}, {sign}', '\\1\\2')"
    if affix.brackets:
        opened = "regexp_replace({v}, '^\\((.*)\\)$', '-\\1')"
        stripped = stripped.replace("{v}", opened)
    notes = []
    if affix.before or affix.after:
        shown = affix.before or affix.after
        notes.append(f"every value carries {shown!r}, read as the number beside it")
    if affix.brackets:
        notes.append("numbers in brackets read as negative")
    made = []
    for kind in numbers:
        pattern = _pattern(affix.before, kind.pattern, affix.after)
        made.append(
            replace(
                kind,
                pattern=rf"{pattern}|\({pattern}\)" if affix.brackets else pattern,
                value=kind.value.replace("{v}", stripped),
                evidence=kind.evidence.replace("{v}", stripped),
                note=", ".join(filter(None, [*notes, kind.note])),
            )
        )
    return made


def _sql(text: str) -> str:
    return text.replace("'", "''")
