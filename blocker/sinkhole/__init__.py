"""The sinkhole that answers: what people and programs meet at the address that blocked names are answered with.

Pure, all of it: octets, policy and the time go in, octets and what is to be recorded come out. The sockets are
in serve/sinkhole.py.
"""
