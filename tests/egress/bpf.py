"""What the kernel does with a classic BPF program, slowly and for the eye (linux/filter.h, RFC 9669's forerunner)."""


def run(program, packet, ethertype):
    """Return how many octets of `packet` the program wants, as the kernel would."""
    accumulator = index = at = 0
    memory = [0] * 16
    while True:
        code, yes, no, k = program[at]
        at += 1
        try:
            match code:
                case 0x06:
                    return k
                case 0x28 if k == 0xFFFFF000:
                    accumulator = ethertype
                case 0x28 | 0x30 | 0x48 | 0x50 | 0x40:
                    start = k + (index if code & 0x60 == 0x40 else 0)
                    size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
                    accumulator = whole(packet, start, size)
                case 0xB1:
                    index = 4 * (whole(packet, k, 1) & 0xF)
                case 0x01:
                    index = k
                case 0x60:
                    accumulator = memory[k]
                case 0x02:
                    memory[k] = accumulator
                case 0x54:
                    accumulator &= k
                case 0x74:
                    accumulator >>= k
                case 0x04:
                    accumulator += k
                case 0x0C:
                    accumulator += index
                case 0x1C:
                    accumulator = (accumulator - index) % (1 << 32)
                case 0x07:
                    index = accumulator
                case 0x15 | 0x25 | 0x35 | 0x45:
                    met = {
                        0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: accumulator & k,
                    }[code]  # fmt: skip
                    at += yes if met else no
                case _:
                    raise AssertionError(f"{code:#x} is no step of ours")
        except IndexError:
            return 0  # beyond the packet's end: the kernel drops it


def whole(packet, start, size):
    if start + size > len(packet):
        raise IndexError
    return int.from_bytes(packet[start : start + size])
