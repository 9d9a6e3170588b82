"""Scanning for secrets: ``protocol`` what is asked and answered, ``programs`` gitleaks or kingfisher, ``running`` how.

Bytes come in, findings go out that never hold a secret. What could not be scanned is said to be so, and is never clean.
"""
