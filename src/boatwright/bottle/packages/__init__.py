"""System packages for bottles of bubblewrap: fetched by this host's apt, taken apart in a bottle, laid under its /usr.

``providing`` is the way through: ``host`` (can this host?), ``apt`` (what is needed, and fetch it), ``unpacking``
(from archives to a tree), ``trees`` (the trees that are kept).
"""
