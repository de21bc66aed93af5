"""The one error that is the user's to mend."""


class InputError(ValueError):
    """A value that cannot be used. Its message is one line: the value, the rule, the remedy.

    The command line prints it without a traceback and exits with code 2.
    """
