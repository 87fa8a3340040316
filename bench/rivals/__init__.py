"""One file a rival. Each makes loops: functions that do some work so many times, with everything bound beforehand.

A file has those of these functions for which its rival has an answer:

id_pair(live=())    take an id and give it back; `live` ids are taken already
cycle()             a message enters, is got and leaves
flow(bound)         the same in two halves, for threads: what a producer does, what a consumer does
create_ids(), create_queue()    make one
"""
