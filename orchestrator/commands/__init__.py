"""The commands, grouped by what they are about. A module here imports little: the rest inside its commands.

setup     init, check, config       deciding  approve, reject, answer, cancel, reopen, recheck
looking   status, tasks, show, why  posting   post
watching  events, logs              boardfile doctor, backup, sql
telling   prompt                    pausing   pause, resume, drain
listing   agents, slots             completing completion
fetching  output                    watches   watches
"""
