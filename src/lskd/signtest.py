"""The exact sign test: do two who are held against each other win equally often?"""


def two_sided(wins: int, losses: int) -> float:
    """Return the two-sided p of wins and losses by a fair coin, ties left out; 1 without any."""
    number, fewer = wins + losses, min(wins, losses)
    ways = term = 1
    for place in range(fewer):
        term = term * (number - place) // (place + 1)
        ways += term
    p: float = 2 * ways / 2**number
    return min(1.0, p)
