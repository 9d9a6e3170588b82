"""The wire: the one way out of a bottle (the isolated place an agent works in), metered, and cut at will.

Budgets: ``budget`` accounts, reservations, usage rows (``book`` one writer's view, ``tables``),
``journal`` group commit. Meter: ``meter`` what a request can take and what its answer took, ``prices``.
Lanes: ``gateway`` adds the key and meters, ``tunnel`` leads to allowed hosts and is not decrypted.
Process: ``proxy`` holds the sockets, ``control`` is how workers speak to it, ``client`` is their side.
For bottles: ``registries`` which package registries this host uses, ``forwarder`` what runs inside.
"""
