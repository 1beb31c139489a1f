"""
A model checker for the job engine.

It drives the real :class:`Acquisition` through every schedule of faults to a stated depth, and through many random
ones, in virtual time: ``world`` is what the attempts live in, ``faults`` what may happen at which step, ``histories``
which attempts follow each other, ``properties`` what must hold, ``explore`` the search.
"""
