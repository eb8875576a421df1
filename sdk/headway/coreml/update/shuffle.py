"""``std::shuffle`` with ``std::minstd_rand`` as LLVM's C++ library computes them, in plain integers.

A port from the library's published algorithm: the generator x ← 48271 x mod (2³¹ − 1); a uniform integer drawn through
"independent bits" of it; and the Fisher-Yates pass from the front.  Permutations computed with the library itself hold
the port (tests).  Whether Apple's engine uses exactly this is a hint only: see
:class:`~headway.coreml.update.semantics.Semantics`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MinstdRand", "shuffle"]

_MODULUS = 2**31 - 1
_MULTIPLIER = 48271
_SPAN = _MODULUS - 1  # number of values the generator can give: 1 … 2³¹ − 2
_LOG2_SPAN = 30
_WORD_BITS = 32
_MASK32 = 0xFFFFFFFF


@dataclass
class MinstdRand:
    """The generator; *state* is its current value."""

    state: int = 1

    @classmethod
    def seeded(cls, seed: int) -> MinstdRand:
        """Return the generator seeded through ``std::seed_seq{uint32(seed)}``."""
        state = _seed_sequence([seed & _MASK32], 4)[3] % _MODULUS
        return cls(state or 1)

    def next(self) -> int:
        """Return the next value, 1 … 2³¹ − 2."""
        self.state = self.state * _MULTIPLIER % _MODULUS
        return self.state

    def below(self, count: int) -> int:
        """Return a uniform integer 0 … count − 1, drawn as ``std::uniform_int_distribution<ptrdiff_t>`` does."""
        if count == 1:
            return 0
        width = (count - 1).bit_length()
        while True:
            value = self._bits(width)
            if value < count:
                return value

    def _bits(self, width: int) -> int:
        """Return *width* random bits, put together from as many draws as needed."""
        draws = -(-width // _LOG2_SPAN)
        each = width // draws
        usable = _usable(each)
        if _SPAN - usable > usable // draws:
            draws += 1
            each = width // draws
            usable = _usable(each)
        short_draws = draws - width % draws
        value = 0
        for index in range(draws):
            bits = each if index < short_draws else each + 1
            value = (value << bits) + self._draw(bits)
        return value

    def _draw(self, bits: int) -> int:
        usable = _usable(bits)
        while True:
            value = self.next() - 1
            if value < usable:
                return value & ((1 << bits) - 1)


def _usable(bits: int) -> int:
    """The largest multiple of 2**bits that the generator's span holds."""
    return (_SPAN >> bits) << bits if bits < _WORD_BITS else 0


def shuffle(order: list[int], random: MinstdRand) -> None:
    """Permute *order* in place."""
    last = len(order) - 1
    for position in range(last):
        other = position + random.below(last - position + 1)
        order[position], order[other] = order[other], order[position]


def _seed_sequence(seeds: list[int], count: int) -> list[int]:
    """Return *count* words of ``std::seed_seq`` for *seeds* (the C++ standard's generate algorithm, count < 7)."""
    words = [0x8B8B8B8B] * count
    size = len(seeds)
    shift = (count - 1) // 2
    middle = (count - shift) // 2
    rounds = max(size + 1, count)
    for k in range(rounds):
        mixed = _scramble(words[k % count] ^ words[(k + middle) % count] ^ words[(k - 1) % count])
        mixed = mixed * 1664525 & _MASK32
        added = mixed + (size if k == 0 else k % count + (seeds[k - 1] if k <= size else 0))
        words[(k + middle) % count] = (words[(k + middle) % count] + mixed) & _MASK32
        words[(k + middle + shift) % count] = (words[(k + middle + shift) % count] + added) & _MASK32
        words[k % count] = added & _MASK32
    for k in range(rounds, rounds + count):
        mixed = _scramble((words[k % count] + words[(k + middle) % count] + words[(k - 1) % count]) & _MASK32)
        mixed = mixed * 1566083941 & _MASK32
        taken = (mixed - k % count) & _MASK32
        words[(k + middle) % count] ^= mixed
        words[(k + middle + shift) % count] ^= taken
        words[k % count] = taken
    return words


def _scramble(word: int) -> int:
    return word ^ (word >> 27)
