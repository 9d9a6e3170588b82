"""What a bottle may ask for, over its own wire: services of this host, opened beside the wire and closed with it.

``beside`` the sockets of one wire; ``desk`` what becomes of a question; ``supervise`` how agents ask it.
"""
