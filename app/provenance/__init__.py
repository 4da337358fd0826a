"""Where a file comes from, said by the file itself: a recipe as plain metadata, and C2PA content credentials.

account.py is what is told, remarks.py how plain metadata hold it, certificate.py who signs, credentials.py signs, and
reading.py reads all of it back. Knows nothing of how films are rendered or pages written.
"""
