#include "wakeup.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <stdexcept>

namespace offhook {

Wakeup::Wakeup(pj_ioqueue_t* ioqueue, pj_pool_factory* pools) {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) != 0)
        throw std::runtime_error("no socket pair to wake the SIP thread with");
    write_fd_ = fds[1];
    pool_ = pj_pool_create(pools, "wakeup", 512, 512, nullptr);
    pj_ioqueue_callback callback{};
    callback.on_read_complete = &Wakeup::on_read;
    if (pj_ioqueue_register_sock(pool_, ioqueue, fds[0], this, &callback, &key_) != PJ_SUCCESS) {
        ::close(fds[0]);
        close();
        throw std::runtime_error("the SIP ioqueue is full: no place to wake the SIP thread with");
    }
    pj_ioqueue_op_key_init(&operation_, sizeof operation_);
    read_next();
}

Wakeup::~Wakeup() {
    if (write_fd_ >= 0) ::close(write_fd_);
}

void Wakeup::wake() { (void)::send(write_fd_, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); }

void Wakeup::close() {
    if (key_ != nullptr) pj_ioqueue_unregister(key_);
    key_ = nullptr;
    if (pool_ != nullptr) pj_pool_release(pool_);
    pool_ = nullptr;
    if (write_fd_ >= 0) ::close(write_fd_);
    write_fd_ = -1;
}

void Wakeup::on_read(pj_ioqueue_key_t* key, pj_ioqueue_op_key_t*, pj_ssize_t) {
    static_cast<Wakeup*>(pj_ioqueue_get_user_data(key))->read_next();
}

void Wakeup::read_next() {
    auto length = static_cast<pj_ssize_t>(buffer_.size());
    pj_ioqueue_recv(key_, &operation_, buffer_.data(), &length, PJ_IOQUEUE_ALWAYS_ASYNC);
}

}  // namespace offhook
