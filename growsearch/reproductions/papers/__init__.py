"""The definitions: a module for each table or figure, named like it."""
