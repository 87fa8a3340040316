"""Lists that are nobody else's: what `get_many` fills, and the copy of what `put_many` was given."""

from cpython.object cimport PyObject


cdef extern from *:
    """
    /* Empty, with room for so many, or with none if there is no memory for it. (CPython 3.13 without the GIL crashes where
     * there is no memory for the room, so there a list grows as it is filled.) */
    static inline PyObject *mtsid_empty_list(Py_ssize_t room)
    {
    #ifndef Py_GIL_DISABLED
        PyObject *list = PyList_New(room);
        if (list) {
            Py_SET_SIZE((PyVarObject *)list, 0);
            return list;
        }
        PyErr_Clear();
    #else
        (void)room;
    #endif
        return PyList_New(0);
    }

    /* Takes over the reference; 0, or -1 and an exception. */
    static inline int mtsid_append(PyObject *list, PyObject *item)
    {
        int failed = 0;
    #ifndef Py_GIL_DISABLED
        Py_ssize_t size = PyList_GET_SIZE(list);
        if (size < ((PyListObject *)list)->allocated) {
            PyList_SET_ITEM(list, size, item);
            Py_SET_SIZE((PyVarObject *)list, size + 1);
            return 0;
        }
    #endif
        failed = PyList_Append(list, item);
        Py_DECREF(item);
        return failed;
    }

    /* A blank message at the end of the list; 0, and no exception, if there is no memory for it. */
    static inline int mtsid_append_fresh(PyObject *list, PyObject *(*fresh)(void))
    {
        PyObject *message = fresh();
        if (message && mtsid_append(list, message) == 0)
            return 1;
        PyErr_Clear();
        return 0;
    }

    static inline PyObject **mtsid_list_items(PyObject *list) { return ((PyListObject *)list)->ob_item; }

    static inline void mtsid_set_length(PyObject *list, Py_ssize_t length) { Py_SET_SIZE((PyVarObject *)list, length); }

    /* `del list[length:]` may want memory, to make the list smaller. */
    static inline void mtsid_drop_behind(PyObject *list, Py_ssize_t length)
    {
        while (PyList_GET_SIZE(list) > length) {
            PyObject *item = PyList_GET_ITEM(list, PyList_GET_SIZE(list) - 1);
            Py_SET_SIZE((PyVarObject *)list, PyList_GET_SIZE(list) - 1);
            Py_DECREF(item);
        }
    }
    """
    PyObject** list_items "mtsid_list_items"(list items) noexcept
    void set_length "mtsid_set_length"(list items, Py_ssize_t length) noexcept  # the places stay as they are
    list empty_list "mtsid_empty_list"(Py_ssize_t room)
    bint append_fresh "mtsid_append_fresh"(list messages, void* fresh) noexcept
    void drop_behind "mtsid_drop_behind"(list messages, Py_ssize_t length)
