"""Tables and figures of the papers, each as one short definition, and what compares them with ours.

A definition is a module of `papers/` with one object `DEFINITION`; there is no other list.
"""
