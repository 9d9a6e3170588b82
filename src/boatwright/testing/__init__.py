"""The fakes, shipped: for trying Boatwright without a key, and for testing providers, forges and agents of your own.

    scripted_server   the scripted model: a real HTTP server that speaks Anthropic Messages and OpenAI Chat Completions
    scripted          the format of its script (YAML): plan, replies, later, review, faults
    scripted_process  start it and wait until it listens: ``running`` (a process), ``serving`` (inside yours)
    real_model        a real, tiny model on loopback, from a wheel: for the wire, not for tasks (real_server is its process)
    local_bottle      NOT A BOTTLE: the Bottle interface over a plain directory, without any isolation
    clock             a clock that stands still until told to move, ids that count
    postgres          a PostgreSQL server for a test run, from a wheel
    vault             the key-value part of Vault's API on loopback
    keyring_file      a keyring of the library ``keyring`` in a plain file
    connect_proxy     a company's proxy: CONNECT with a password
    samples           the sample repository of the demo

Nothing in the product imports from here; the scripted model is started as a process. None of it can be chosen as a
bottle, a forge or a clock by a command.
"""
