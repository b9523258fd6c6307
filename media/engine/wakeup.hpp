// Wakes up the SIP thread from its wait for the network when there is a command for it.
#pragma once

#include <pjlib.h>
#include <array>

namespace offhook {

// A socket pair. One end is in the ioqueue that the SIP thread polls.
class Wakeup {
public:
    // SIP thread. Throws std::runtime_error when the ioqueue refuses the socket.
    explicit Wakeup(pj_ioqueue_t* ioqueue, pj_pool_factory* pools);
    ~Wakeup();
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    void wake();   // any thread
    void close();  // SIP thread, before the ioqueue is destroyed

private:
    static void on_read(pj_ioqueue_key_t* key, pj_ioqueue_op_key_t* operation, pj_ssize_t bytes);
    void read_next();

    int write_fd_ = -1;
    pj_pool_t* pool_ = nullptr;
    pj_ioqueue_key_t* key_ = nullptr;
    pj_ioqueue_op_key_t operation_{};
    std::array<char, 64> buffer_{};
};

}  // namespace offhook
