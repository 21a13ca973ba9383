"""How wide a text is, without a browser: advance widths of the fonts that pictures are set in.

A picture names several fonts, of which each machine has some: per character the widest counts
(DejaVu, Liberation, which has the widths of Arial and Times, and STIX), so that a label set in any
of them stays within what was measured. Other characters count as the widest there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

WIDEST = 1300  # full-width letters and emoji in thousandths of the size
_COMBINING = {*map(chr, range(0x300, 0x370)), "\u200b", "\u200d", "\ufe0f"}

# Per face: width in thousandths of the size → the characters that are no wider.
_ADVANCE: dict[str, dict[int, str]] = {
    "sans": {
        180: "ᵢⱼₗ",
        240: "′",
        260: "⁽⁾",
        280: "'ijlìíîïĩīĭįıĵĺļ",
        300: "IÌÍÎÏĨĪĬĮİłΙΪ",
        320: " ,. ·‘’",
        340: "/:;\\|¦ίι",
        360: "fŀſ",
        380: "-­ľ″",
        400: "()[]tţťŧⁿₐₙᵀᵃ⌊⌋⌈⌉⟨⟩",
        420: "!r¡²³¹ŕŗř⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉ₑℓ",
        440: "ₖᵇ",
        460: '"',
        480: "ªº",
        500: "*J`¨°´¸Ĵ∥‖",
        520: "“”∂▸▾",
        540: "szśŝşšźżž⁺⁻⁼₊₋₌∫",
        560: "?L_c§¯çćĉċčĳĹĻĽĿΓέεζνξ–",
        580: "kķĸŁΰυχ",
        600: "vxyýÿŷγκλς",
        620: "FTaeo«»¿àáâãäåèéêëðòóôõöøāăąēĕėęěōŏőŢŤŦΤδθοτϑϵ",
        640: "$0123456789bdghnpqu{}¢£¤¥µ¶ßñùúûüþďđĝğġģĥńņňŋũūŭůűųΣήβημρσₘ√",
        660: "Ξάαφϕ",
        680: "EKPSYÈÉÊËÝÞĒĔĖĘĚĶŚŜŞŠŶŸΕΚΡΥΫ∇",
        700: "ABVXZÀÁÂÃÄÅĀĂĄħŹŻŽΑΒΔΖΛΧπ",
        720: "ψ∑",
        740: "CRUÇÙÚÛÜĆĈĊČĲŔŖŘŨŪŬŮŰŲ∧∨∩∪",
        760: "HNÑĤŃŅŇŊΗΝΠ",
        780: "&DGÐĎĐĜĞĠĢΩ",
        800: "OQÒÓÔÕÖØŌŎŐΘΟΦℝ",
        820: "wŉŵ",
        840: "#+<=>^~¬±×÷Ψω↑↓⇒↻⟲∏−∓∞≈≠≡≤≥⊙⊗⊕",
        880: "MΜ∈∉",
        900: "⚠☰",
        920: "Ħ",
        960: "%",
        980: "m¼½¾",
        1000: "W©®ÆæŴ—…→←↔",
        1020: "@",
        1040: "œ",
        1080: "Œ",
    },
    "bold": {
        220: "ᵢⱼₗ",
        280: "′",
        300: "⁽⁾",
        320: "'",
        360: " ijl ìíîïĩīĭįıĵĺļ",
        380: ",./I\\|¦·ÌÍÎÏĨĪĬĮİłΙΪ‘’",
        400: ":;ίι",
        420: "-­",
        440: "f²³¹ſ⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉ᵀ",
        460: "!()[]¡ⁿₐₙᵃ⌊⌋⌈⌉⟨⟩",
        480: "tľţťŧ″ₑᵇ",
        500: "`r¨°´¸ŕŗřₖ∥‖ℓ",
        520: "▸▾",
        540: '"*⁺⁻⁼₊₋₌',
        560: "J_§¯Ĵŀέε–∂",
        580: "ªº",
        600: "cszçćĉċčśŝşšźżžζξς",
        620: "?¿∫",
        640: "L¤¶ĹĻĽĿΓλτ",
        660: "vxy«»ýÿŁŷΞχϵ“”",
        680: "aekàáâãäåèéêëāăąēĕėęěķĸΰυϑₘ√",
        700: "$0123456789EFTo¢£¥ÈÉÊËðòóôõöøĒĔĖĘĚĳōŏőŢŤŦΕΣΤάαγδθνο∇",
        720: "bdghnpqu{}ßñùúûüþďđĝğġģĥńņňŋũūŭůűųήβηκρ∑",
        740: "CPSYZµÇÝÞĆĈĊČŚŜŞŠŶŸŹŻŽΖΡΥΫμ",
        780: "ABKRVXÀÁÂÃÄÅĀĂĄĶŔŖŘΑΒΔΚΛΧσ",
        800: "ħĲπφψϕ",
        820: "UÙÚÛÜŨŪŬŮŰŲ∧∨∩∪ℝ",
        840: "#+<=>DGHN^~¬±ÐÑ×÷ĎĐĜĞĠĢĤŃŅŇŊΗΝΠ↑↓⇒↻⟲∏−∓∞≈≠≡≤≥⊙⊗⊕",
        860: "OQÒÓÔÕÖØŌŎŐΘΟΦΨΩ",
        880: "&ω",
        900: "∈∉⚠☰",
        940: "wŵ",
        980: "Ħ",
        1000: "@M©®ŉΜ—…→←↔",
        1020: "%",
        1040: "¼½¾",
        1060: "mæ",
        1100: "Æœ",
        1120: "WŴ",
        1180: "Œ",
    },
    "italic": {
        220: "ᵢ",
        240: "′",
        260: "⁽⁾ₗ",
        280: "'ⱼ",
        320: " ,.ijl ·ìíîïĩīĭįıĵĺļ",
        340: "-/:;\\|¦­ł‘’",
        380: "fₐₖᵃ",
        400: "()I[]ÌÍÎÏĨĪĬĮİſΙΪίιₑᵇ⌊⌋⌈⌉⟨⟩",
        420: "!t¡²³¹ľţťŧ″⁰⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉ₙᵀ",
        460: '"JĴ',
        480: "rªºŀŕŗř∥",
        500: "*_`§¨¯°´¸–‖",
        520: "sśŝşš∂▸▾",
        540: "?z¿ĳźżžέε⁺⁻⁼₊₋₌∫",
        560: "ζξτ“”",
        580: "cvxyçýÿćĉċčŷβςϵℓ",
        600: "aeàáâãäåèéêëāăąēĕėęěήγηρ",
        620: "ko«»ðòóôõöøķĸōŏőΰδθνουχₘ",
        640: "$0123456789{}¢£¤¥¶λ√",
        660: "bdghnpquµñùúûüþďđĝğġģĥħńņňŋũūŭůűųκμπ",
        680: "LPTYÝÞßĹĻĽĿŁŢŤŦŶŸΡΤΥΫάα",
        700: "FSZŚŜŞŠŹŻŽΓΖσϕ∇ℝ",
        720: "XΞΣΧφϑ∑",
        740: "ABEVÀÁÂÃÄÅÈÉÊËĀĂĄĒĔĖĘĚΑΒΔΕΛ∧∨",
        760: "KRĶŔŖŘΚ∈∉",
        780: "CÇĆĈĊČ",
        800: "GĜĞĠĢψ",
        820: "DOQÐÒÓÔÕÖØĎĐĲŌŎŐΘΟΦω",
        840: "#+<=>^~¬±×÷Ω↑↓⇒↻⟲∏−∓∞∩∪≈≠≡≤≥⊙⊗⊕",
        860: "UwÙÚÛÜŊŨŪŬŮŰŲŵ",
        880: "HNÑĤĦŃŅŇŉΗΝΠΨ",
        900: "&",
        940: "æ",
        960: "%m",
        980: "¼½¾",
        1000: "@©®œ—…→←↔",
        1020: "Æ",
        1040: "MWŴΜ",
        1140: "Œ",
    },
}

WIDTHS = {
    face: {char: width for width, chars in table.items() for char in chars}
    for face, table in _ADVANCE.items()
}


def text_width(text: str, size: float, face: str = "sans") -> float:
    """The greatest width of a text.

    Args:
        text: one line.
        size: of the font, in pixels.
        face: "sans", "bold" or "italic" (of a serif font, for names).

    Returns:
        Pixels.

    Example:
        >>> text_width("tanh", 10) < text_width("tanh", 20) < 60
        True
    """
    return _thousandths(text, face) * size / 1000


@lru_cache(maxsize=4096)
def _thousandths(text: str, face: str) -> int:
    widths = WIDTHS[face]
    return sum(widths.get(c, WIDEST) for c in text if c not in _COMBINING)


def widest(texts: Iterable[str], size: float, face: str = "sans") -> float:
    """The width of the widest of these lines."""
    return max((text_width(text, size, face) for text in texts), default=0.0)
