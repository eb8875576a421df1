"""The online roles: keys in files, signatures by :mod:`headway.trust.online`."""
