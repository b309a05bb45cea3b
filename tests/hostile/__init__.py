"""A battery of hostile inputs: what pandq does with what it was not made for.

A `Case` builds its files from a seed and says what is right of them; a nursery runs it in a process
of its own, with limits on time, memory and what it may write; one judge says what was wrong. Each
module of the eight families yields cases.
"""
