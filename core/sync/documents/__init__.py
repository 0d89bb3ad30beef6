"""Documents: taken into the registry from where they originate, and copied to where policy wants copies.

A document has one origin, whose word counts; its copies follow, one write at a time, each decided on a fresh look.
"""
