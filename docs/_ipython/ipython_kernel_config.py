"""A kernel's first words are about its transport, which nobody else can reach in a build."""

c = get_config()  # noqa: F821
c.IPKernelApp.log_level = "ERROR"
