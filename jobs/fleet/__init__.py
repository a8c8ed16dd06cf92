"""``ctx.each``: one job's devices, in the threads of this process and in others that come to help.

The rows (``jobs.device_models``) are asked for everything: which device is next, whether this process may go on,
whether all are over. A process that helps is a participant, like the first; the last one out ends the job. ``each`` is
the loop of one participant, ``hands`` its threads, ``work`` what they do with a device, ``reports`` what is stored.
"""
